/**
 * A JSON file whose every value has a place, so that what is wrong with it is told by file, line and column, and never by
 * what stands there: it may be a secret.
 */
import { invalidInput, type Problem } from '../core/errors.js'
import { MOST_DEPTH, type StructureFault, structureFaults, valuePositions } from '../core/json-structure.js'

export interface JsonDocument {
  readonly value: unknown
  /** `identities.json:3:5` of a value or, where it is missing, of what should hold it. Columns count UTF-16 units. */
  place(path: readonly PropertyKey[]): string
}

/** One slip makes a parser complain many times. */
const MOST_ERRORS = 20

/**
 * A byte order mark is let pass (RFC 8259 section 8.1).
 * @param name the file's name in messages
 * @throws ToolkitError invalid_input with every fault of syntax, double key and depth
 */
export async function parseJson(raw: string, name: string): Promise<JsonDocument> {
  const text = raw.replace(/^\ufeff/, '')
  const place = placesIn(text, name)
  const refused = (problems: readonly Problem[]) => invalidInput(name, problems.slice(0, MOST_ERRORS))
  // Reading a file replaces every byte that is not UTF-8 by this character.
  const foreign = text.indexOf('\ufffd')
  if (foreign >= 0) throw refused([{ path: place(foreign), expected: 'UTF-8 text' }])
  const faults = structureFaults(text).map(({ fault, position }) => ({ path: place(position), expected: FAULTS[fault] }))
  const parsed = valueIn(text)
  if (parsed === undefined) {
    const { syntaxProblems } = await import('./json-syntax.js')
    throw refused(syntaxProblems(text).map(({ offset, expected }) => ({ path: place(offset), expected })))
  }
  if (faults.length > 0) throw refused(faults)
  const positionOf = valuePositions(text)
  return { value: parsed.value, place: (path) => place(positionOf(path)) }
}

const FAULTS: Readonly<Record<StructureFault['fault'], string>> = {
  too_deep: `JSON of at most ${MOST_DEPTH} levels`,
  double_key: 'each key once in an object',
}

/** The engine's own message quotes the text. */
function valueIn(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) }
  } catch {
    return undefined
  }
}

function placesIn(text: string, name: string): (offset: number) => string {
  let starts: number[] | undefined
  return (offset) => {
    starts ??= lineStarts(text)
    const line = lastAtMost(starts, offset)
    return `${name}:${line + 1}:${offset - (starts[line] ?? 0) + 1}`
  }
}

function lineStarts(text: string): number[] {
  const starts = [0]
  for (let index = text.indexOf('\n'); index !== -1; index = text.indexOf('\n', index + 1)) starts.push(index + 1)
  return starts
}

/** Index of the last of the rising numbers that is not above `value`. */
function lastAtMost(numbers: readonly number[], value: number): number {
  let [low, high] = [0, numbers.length - 1]
  while (low < high) {
    const middle = Math.ceil((low + high) / 2)
    if ((numbers[middle] ?? 0) <= value) low = middle
    else high = middle - 1
  }
  return low
}
