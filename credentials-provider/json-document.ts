/** A JSON file whose every value has a place, so that what is wrong with it is told by file, line and column. */
import { type Node, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser'
import { invalidInput, type Problem } from '../core/errors.js'

export interface JsonDocument {
  readonly value: unknown
  /** `identities.json:3:5` of a value or, where it is missing, of what should hold it. */
  place(path: readonly PropertyKey[]): string
}

/** No file that people write is nested deeper (requirements IN2). */
const DEEPEST = 32

/** @param name the file's name in messages @throws ToolkitError invalid_input with every fault of syntax, double key and depth */
export function parseJson(text: string, name: string): JsonDocument {
  const errors: ParseError[] = []
  const lines = lineStarts(text)
  const at = (offset: number) => `${name}:${position(lines, offset)}`
  const root = tooDeep(text) ? undefined : parseTree(text, errors, { disallowComments: true, allowTrailingComma: false })
  if (root === undefined && errors.length === 0)
    throw invalidInput('the file', [{ path: `${name}:1:1`, expected: `JSON, at most ${DEEPEST} levels deep` }])
  const problems: Problem[] = errors.map(({ error, offset }) => ({ path: at(offset), expected: `JSON (${printParseErrorCode(error)})` }))
  if (root) problems.push(...doubleKeys(root).map((node) => ({ path: at(node.offset), expected: 'each key once in an object' })))
  if (problems.length > 0 || root === undefined) throw invalidInput('the file', problems)
  return {
    value: JSON.parse(text),
    place(path) {
      for (let length = path.length; length > 0; length--) {
        const node = nodeAt(root, path.slice(0, length))
        if (node) return at(node.offset)
      }
      return at(root.offset)
    },
  }
}

function nodeAt(root: Node, path: readonly PropertyKey[]): Node | undefined {
  return path.reduce<Node | undefined>((node, step) => {
    if (typeof step === 'number') return node?.type === 'array' ? node.children?.[step] : undefined
    return node?.type === 'object' ? node.children?.find(({ children }) => children?.[0]?.value === step)?.children?.[1] : undefined
  }, root)
}

/** The second and every later key of one name. */
function doubleKeys(node: Node): Node[] {
  const children = node.children ?? []
  const seen = new Set<unknown>()
  const own =
    node.type === 'object'
      ? children.flatMap(({ children: [key] = [] }) => {
          if (key === undefined) return []
          const isDouble = seen.has(key.value)
          seen.add(key.value)
          return isDouble ? [key] : []
        })
      : []
  return [...own, ...children.flatMap(doubleKeys)]
}

/** The parser is recursive: depth is bounded before it runs. */
function tooDeep(text: string): boolean {
  let depth = 0
  let inString = false
  for (let index = 0; index < text.length; index++) {
    const character = text[index]
    if (inString) {
      if (character === '\\') index++
      else if (character === '"') inString = false
    } else if (character === '"') inString = true
    else if (character === '{' || character === '[') {
      if (++depth > DEEPEST) return true
    } else if (character === '}' || character === ']') depth--
  }
  return false
}

function lineStarts(text: string): readonly number[] {
  const starts = [0]
  for (let index = text.indexOf('\n'); index !== -1; index = text.indexOf('\n', index + 1)) starts.push(index + 1)
  return starts
}

function position(starts: readonly number[], offset: number): string {
  let line = starts.findLastIndex((start) => start <= offset)
  if (line < 0) line = 0
  return `${line + 1}:${offset - (starts[line] ?? 0) + 1}`
}
