/**
 * JSON that strangers send: depth and duplicate keys are looked at before it is parsed. RFC 8259 section 4 leaves the
 * meaning of a repeated key open, so two readers of one request could see two values.
 */

/** Deepest nesting accepted. */
const MAX_DEPTH = 32

/** Where and why a text is not acceptable JSON; `position` counts UTF-16 units from 0. */
export class JsonProblem extends Error {
  constructor(
    readonly position: number,
    readonly reason: string,
  ) {
    super(reason)
  }
}

/** @throws JsonProblem */
export function parseJson(text: string): unknown {
  checkStructure(text)
  try {
    return JSON.parse(text)
  } catch (error) {
    const message = error instanceof Error ? error.message : ''
    const position = /position (\d+)/.exec(message)?.[1]
    const reason = /property name/.test(message) ? 'Expecting property name enclosed in double quotes' : 'Expecting value'
    throw new JsonProblem(position === undefined ? text.length : Number(position), reason)
  }
}

/** One pass over brackets and strings; what is not JSON at all is left to the parser. */
function checkStructure(text: string): void {
  /** Keys seen in each open object; undefined for an array. */
  const open: (Set<string> | undefined)[] = []
  let expectsKey = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined)
      expectsKey = character === '{'
      if (open.length > MAX_DEPTH) throw new JsonProblem(at, `nested deeper than ${MAX_DEPTH}`)
    } else if (character === '}' || character === ']') {
      open.pop()
      expectsKey = false
    } else if (character === ',') {
      expectsKey = open.at(-1) !== undefined
    } else if (character === '"') {
      const end = endOfString(text, at)
      const keys = open.at(-1)
      if (expectsKey && keys) {
        const key = decoded(text.slice(at, end + 1))
        if (keys.has(key)) throw new JsonProblem(at, 'a key is there twice')
        keys.add(key)
      }
      expectsKey = false
      at = end
    }
  }
}

function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at
  }
  return text.length
}

/** `"a"` and `"\\u0061"` are one key. */
function decoded(literal: string): string {
  try {
    return String(JSON.parse(literal))
  } catch {
    return literal
  }
}
