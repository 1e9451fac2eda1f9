/** What of a document a page does not put into words. */

/** Members that are shown: `true` for a member shown whole; the shape of an array is that of each element. */
export type Shape = true | { [member: string]: Shape };

/** The part of a value that this shape does not name; undefined where it names all of it. */
export function rest(value: unknown, shape: Shape): unknown {
  if (shape === true || value === undefined) return undefined;
  if (value === null || typeof value !== 'object') return value;
  const left = Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
    const known = Array.isArray(value) ? shape : Object.hasOwn(shape, name) ? shape[name] : undefined;
    const more = known === undefined ? inner : rest(inner, known);
    return more === undefined ? [] : [[name, more]];
  });
  return left.length === 0 ? undefined : Object.fromEntries(left);
}
