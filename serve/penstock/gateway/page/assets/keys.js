// The keys that whoever sits here has typed in: one to call models, one to administer. A key may have both roles.
// They are kept for this tab alone, and end with it.

const memory = new Map();
const storage = available();

function available() {
  try {
    sessionStorage.setItem("penstock.probe", "1");
    sessionStorage.removeItem("penstock.probe");
    return sessionStorage;
  } catch {
    return null; // A browser that stores nothing: a reload asks for the key again.
  }
}

const name = (role) => `penstock.key.${role}`;

/** The key of a role, `user` or `admin`; null where there is none. */
export function keyOf(role) {
  return storage ? storage.getItem(name(role)) : (memory.get(role) ?? null);
}

/** Keep a key, or with null forget it; whoever listens for `penstock-keys` is told. */
export function keep(role, key) {
  if (storage && key === null) storage.removeItem(name(role));
  else if (storage) storage.setItem(name(role), key);
  else if (key === null) memory.delete(role);
  else memory.set(role, key);
  dispatchEvent(new Event("penstock-keys"));
}

/** Whether any key is kept. */
export const holdsKeys = () => keyOf("user") !== null || keyOf("admin") !== null;

/** Whoever administers with no key of its own for that uses the one that it calls models with. */
export const keyFor = (role) => keyOf(role) ?? (role === "admin" ? keyOf("user") : null);
