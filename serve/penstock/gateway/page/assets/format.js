// Numbers, times and moments as people read them.

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });

/** 12,345 */
export const count = (number) => whole.format(number);

/** 12.3K */
export const compact = (number) => short.format(number);

/** Seconds: 0.42 s, 12 s, 3 min 20 s. */
export function duration(seconds) {
  if (seconds < 10) return `${seconds.toFixed(seconds < 1 ? 2 : 1)} s`;
  if (seconds < 120) return `${Math.round(seconds)} s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 120) return `${minutes} min ${Math.round(seconds % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** A moment of the API in the reader's time, as an element that says which it is exactly. */
export function moment(text) {
  const element = document.createElement("time");
  element.dateTime = text;
  element.textContent = new Date(text).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });
  return element;
}
