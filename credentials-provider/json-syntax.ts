/** What is wrong with a text that is not JSON, by offset; loaded only then. */
import { createScanner, type ParseError, parseTree, printParseErrorCode } from 'jsonc-parser'
import { MOST_DEPTH } from '../core/json-structure.js'

/** `offset` counts UTF-16 units and never lies behind the end of the text. */
export interface SyntaxProblem {
  readonly offset: number
  readonly expected: string
}

/** Every problem that the parser finds; at least one. */
export function syntaxProblems(text: string): SyntaxProblem[] {
  const deep = tooDeep(text)
  if (deep !== undefined) return [{ offset: deep, expected: `JSON of at most ${MOST_DEPTH} levels` }]
  const errors: ParseError[] = []
  parseTree(text, errors, { disallowComments: true, allowTrailingComma: false })
  if (errors.length === 0) return [{ offset: 0, expected: 'JSON' }]
  return errors.map(({ error, offset }) => ({
    offset: Math.min(offset, text.length),
    expected: WORDS[printParseErrorCode(error)] ?? 'JSON',
  }))
}

/** The parser is recursive: depth is bounded before it runs, by the brackets as it sees them. */
function tooDeep(text: string): number | undefined {
  const scanner = createScanner(text, true)
  const open: string[] = []
  while (scanner.getPosition() < text.length) {
    scanner.scan()
    const offset = scanner.getTokenOffset()
    const character = text[offset]
    if (character === '{' || character === '[') {
      if (open.push(character) > MOST_DEPTH) return offset
    } else if ((character === '}' && open.at(-1) === '{') || (character === ']' && open.at(-1) === '[')) {
      open.pop()
    }
  }
  return undefined
}

const WORDS: { readonly [C in ReturnType<typeof printParseErrorCode>]?: string } = {
  InvalidSymbol: 'JSON: text stands in double quotes',
  InvalidNumberFormat: 'a number of JSON',
  PropertyNameExpected: 'a key in double quotes',
  ValueExpected: 'a value',
  ColonExpected: 'a colon',
  CommaExpected: 'a comma',
  CloseBraceExpected: 'a comma or }',
  CloseBracketExpected: 'a comma or ]',
  EndOfFileExpected: 'the end of the file',
  InvalidCommentToken: 'JSON, without comments',
  UnexpectedEndOfComment: 'JSON, without comments',
  UnexpectedEndOfString: 'a closing quote on the same line',
  UnexpectedEndOfNumber: 'a number of JSON',
  InvalidUnicode: 'four hexadecimal digits after \\u',
  InvalidEscapeCharacter: 'an escape of JSON',
  InvalidCharacter: 'text without control characters',
}
