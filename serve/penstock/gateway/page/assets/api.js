// Requests to the gateway that this page came from.

import { keyFor } from "./keys.js";

/** Where the gateway is: the page may stand behind a path of a proxy. */
export const root = new URL("../", import.meta.url);

/** What the gateway refused, in its own words. */
export class Refusal extends Error {
  constructor(status, error, requestId) {
    super(error?.message ?? `The answer has the status ${status}.`);
    this.status = status;
    this.code = error?.code ?? null;
    this.requestId = requestId;
  }

  /** Whether another key might help. */
  get wantsKey() {
    return this.status === 401 || (this.status === 403 && this.code === "role_not_allowed");
  }
}

/** Send a request. Raises Refusal, and what `fetch` raises. Resolves to the Response. */
export async function send(path, { method = "GET", body, role = "user", signal } = {}) {
  const headers = {};
  if (body !== undefined) headers["content-type"] = "application/json";
  const key = keyFor(role);
  if (key !== null) headers.authorization = `Bearer ${key}`;
  const response = await fetch(new URL(path, root), {
    method,
    headers,
    signal,
    body: body === undefined ? undefined : JSON.stringify(body),
    cache: "no-store",
    credentials: "same-origin",
  });
  if (!response.ok) throw await refusalOf(response);
  return response;
}

/** The same for administrators, resolved to the document that is answered. */
export async function administer(path, options = {}) {
  return (await send(`admin/${path}`, { ...options, role: "admin" })).json();
}

async function refusalOf(response) {
  let error;
  try {
    ({ error } = await response.json());
  } catch {
    error = undefined; // Somebody in front of the gateway answered.
  }
  return new Refusal(response.status, error, response.headers.get("x-request-id"));
}

/** What to say of a request that came to nothing. */
export function explained(error) {
  if (error instanceof Refusal) return error.message;
  if (error instanceof TypeError) return "The gateway cannot be reached. Is it still running?";
  return String(error.message ?? error);
}
