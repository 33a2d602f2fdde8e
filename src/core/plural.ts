/** `1 network`, `2 networks`, `3 addresses` (of "address", "addresses"). */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${count} ${count === 1 ? one : many}`;
}
