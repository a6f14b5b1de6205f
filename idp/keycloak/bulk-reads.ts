/** Reading much without asking too much: lists by pages, many small requests a few at once. */

/** One page; `max=-1` would break the size cap at about a thousand clients. */
export const PAGE = 200
/** Requests under way at once; as many as the door has connections. */
const AT_ONCE = 8

/** A whole list; `read` gets how many come before the page and answers with at most `PAGE` rows. */
export async function pages<T>(read: (first: number) => Promise<readonly T[]>): Promise<T[]> {
  const all: T[] = []
  for (;;) {
    const page = await read(all.length)
    all.push(...page)
    if (page.length < PAGE) return all
  }
}

/** One request an item, answers in the order of the items; the first failure stops new requests and is thrown. */
export async function eachOf<T, R>(items: readonly T[], read: (item: T) => Promise<R>): Promise<R[]> {
  const answers: R[] = []
  const queue = [...items.entries()]
  const worker = async () => {
    for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
      const [index, item] = next
      answers[index] = await read(item).catch((error: unknown) => {
        queue.length = 0
        throw error
      })
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
  return answers
}

/** Callers at the same time share one request; a later caller looks again. */
export function shared<T>(read: () => Promise<T>): () => Promise<T> {
  let running: Promise<T> | undefined
  return () => {
    running ??= read().finally(() => {
      running = undefined
    })
    return running
  }
}
