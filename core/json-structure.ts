/**
 * JSON text beside its value: how deep it is nested and which keys are repeated, looked at before it is parsed, and where
 * its values stand. RFC 8259 section 4 leaves the meaning of a repeated key open, so two readers could see two values.
 */

/** Deepest nesting accepted. */
export const MOST_DEPTH = 32

/** `position` counts UTF-16 units from 0. */
export interface StructureFault {
  readonly fault: 'too_deep' | 'double_key'
  readonly position: number
}

/** One pass over brackets and strings, which ends where it gets too deep; what is not JSON at all is left to the parser. */
export function structureFaults(text: string): StructureFault[] {
  const faults: StructureFault[] = []
  /** Keys seen in each open object; undefined for an array. */
  const open: (Set<string> | undefined)[] = []
  let expectsKey = false
  for (let at = 0; at < text.length; at++) {
    const character = text[at]
    if (character === '{' || character === '[') {
      open.push(character === '{' ? new Set() : undefined)
      expectsKey = character === '{'
      if (open.length > MOST_DEPTH) return [...faults, { fault: 'too_deep', position: at }]
    } else if (character === '}' || character === ']') {
      open.pop()
      expectsKey = false
    } else if (character === ',') {
      expectsKey = open.at(-1) !== undefined
    } else if (character === '"') {
      const end = endOfString(text, at)
      const keys = open.at(-1)
      if (expectsKey && keys) {
        const key = decoded(text.slice(at, end))
        if (keys.has(key)) faults.push({ fault: 'double_key', position: at })
        keys.add(key)
      }
      expectsKey = false
      at = end - 1
    }
  }
  return faults
}

/**
 * Finds values in a text that is JSON: the position of the value at a path or, where there is none, of the innermost
 * value on the way to it.
 */
export function valuePositions(text: string): (path: readonly PropertyKey[]) => number {
  /** By the position of the object or array. Whoever asks for one element asks for its neighbours, too. */
  const known = new Map<number, ReadonlyMap<PropertyKey, number>>()
  const childrenAt = (start: number) => {
    const children = known.get(start) ?? new Map(childrenOf(text, start))
    known.set(start, children)
    return children
  }
  return (path) => {
    let at = afterSpace(text, 0)
    for (const step of path) {
      const inner = childrenAt(at).get(step)
      if (inner === undefined) break
      at = inner
    }
    return at
  }
}

function* childrenOf(text: string, start: number): Generator<[PropertyKey, number]> {
  const isObject = text[start] === '{'
  if (!isObject && text[start] !== '[') return
  let at = afterSpace(text, start + 1)
  for (let index = 0; at < text.length && text[at] !== '}' && text[at] !== ']'; index++) {
    const endOfKey = isObject ? endOfString(text, at) : at
    const key = isObject ? decoded(text.slice(at, endOfKey)) : index
    const value = isObject ? afterSpace(text, afterSpace(text, endOfKey) + 1) : at
    yield [key, value]
    at = afterSpace(text, endOfValue(text, value))
    if (text[at] === ',') at = afterSpace(text, at + 1)
  }
}

function endOfValue(text: string, start: number): number {
  let depth = 0
  for (let at = start; at < text.length; at++) {
    const character = text[at] ?? ''
    if (character === '"') {
      at = endOfString(text, at) - 1
    } else if (character === '{' || character === '[') {
      depth++
    } else if (character === '}' || character === ']') {
      if (depth === 0) return at
      depth--
    } else if (depth > 0 || !/[\s,]/.test(character)) {
      continue
    } else {
      return at
    }
    if (depth === 0) return at + 1
  }
  return text.length
}

/** The position behind the closing quote. */
function endOfString(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    if (text[at] === '\\') at++
    else if (text[at] === '"') return at + 1
  }
  return text.length
}

function afterSpace(text: string, start: number): number {
  let at = start
  while (at < text.length && /\s/.test(text[at] ?? '')) at++
  return at
}

/** `"a"` and `"\\u0061"` are one key. */
function decoded(literal: string): string {
  try {
    return String(JSON.parse(literal))
  } catch {
    return literal
  }
}
