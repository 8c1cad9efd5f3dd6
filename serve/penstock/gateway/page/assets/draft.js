// The request that is being written: shared by the playground, which sends it, and the API tab, which writes it as code.

export const draft = {
  model: "",
  system: "",
  prompt: "",
  /** Of the conversation that was sent last; empty where none was. */
  messages: [],
  parameters: {},
};

export const EXAMPLE = "Say hello in one sentence.";

/** The body of a request for a model, after what was said before. */
export function bodyOf(model, messages) {
  return { model, messages, ...draft.parameters };
}

/** Messages before the first answer. */
export function opening() {
  return draft.system.trim() ? [{ role: "system", content: draft.system.trim() }] : [];
}

/** The request that the API tab shows: the last one, or what would be sent now. */
export function shown() {
  const prompt = draft.prompt.trim();
  if (draft.messages.length > 0 && !prompt) return bodyOf(draft.model, draft.messages);
  return bodyOf(draft.model, [...opening(), { role: "user", content: prompt || EXAMPLE }]);
}
