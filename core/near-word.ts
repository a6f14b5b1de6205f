/** Whether one word was meant by another, for messages about keys that nobody knows. */

/** Whether two keys differ by a slip: case, dashes, or a letter or two of a longer word. */
export function isNear(known: string, typed: string): boolean {
  const [a, b] = [known, typed].map((key) => key.toLowerCase().replace(/[^a-z]/g, '')) as [string, string]
  return Math.abs(a.length - b.length) <= 2 && distance(a, b) <= (a.length > 5 ? 2 : 1)
}

/** Letters to insert, drop or replace (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1]
    for (let j = 0; j < b.length; j++) {
      next.push(Math.min((row[j] ?? 0) + (b[j] === letter ? 0 : 1), (row[j + 1] ?? 0) + 1, (next[j] ?? 0) + 1))
    }
    row = next
  }
  return row.at(-1) ?? 0
}
