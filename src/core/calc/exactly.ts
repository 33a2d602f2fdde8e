/** A copy without spare room: V8 gives a list that grew by `push` or `filter` room for 16 more, and there are 100,000 of them. */
export function exactly<T>(list: readonly T[]): readonly T[] {
  return list.slice();
}
