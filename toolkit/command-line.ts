/** An operation's input as flags and back: the CLI parses with it, a refused tool call prints with it. */
import { z } from 'zod'
import type { Operation } from '../core/operation.js'

export interface Flag {
  /** Field of the input. */
  readonly field: string
  /** Spelling without dashes: `mcp-clients`. */
  readonly name: string
  /** `switch` takes no value and is off without it; `truth` takes true or false; `list` takes `a,b`; `repeated` is given once an element. */
  readonly form: 'text' | 'number' | 'switch' | 'truth' | 'list' | 'repeated'
  readonly required: boolean
  readonly positional: boolean
  readonly choices?: readonly string[]
  readonly help: string
}

type Shaped = Pick<Operation, 'input' | 'positionals' | 'repeated'>

/** The flags of an operation, in the order of its fields. */
export function flagsOf({ input, positionals = [], repeated = {} }: Shaped): Flag[] {
  return Object.entries(input.shape).map(([field, schema]) => {
    const outer = schema as z.ZodType
    const inner = unwrapped(outer)
    const element = inner instanceof z.ZodArray ? unwrapped(inner.element as z.ZodType) : inner
    const choices = element instanceof z.ZodEnum ? element.options.map(String) : undefined
    return {
      field,
      name: repeated[field] ?? field.replaceAll('_', '-'),
      form: formOf(outer, inner, repeated[field] !== undefined),
      required: !outer.safeParse(undefined).success,
      positional: positionals.includes(field),
      ...(choices ? { choices } : {}),
      help: outer.description ?? inner.description ?? '',
    }
  })
}

function formOf(outer: z.ZodType, inner: z.ZodType, once: boolean): Flag['form'] {
  if (inner instanceof z.ZodArray) return once ? 'repeated' : 'list'
  if (inner instanceof z.ZodNumber) return 'number'
  if (inner instanceof z.ZodBoolean) return outer instanceof z.ZodDefault && outer.parse(undefined) === false ? 'switch' : 'truth'
  return 'text'
}

function unwrapped(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault ? unwrapped(schema.unwrap() as z.ZodType) : schema
}

/**
 * What a person would type for this input, as words that read back to the same input; quote them for a shell before printing.
 * `more` holds flags that are not the operation's own: `--home`, `--yes`.
 */
export function commandLine(
  command: readonly string[],
  operation: Shaped,
  input: Readonly<Record<string, unknown>>,
  more: readonly string[] = [],
): string[] {
  const flags = flagsOf(operation).filter(({ field }) => input[field] !== undefined)
  const named = flags.filter((flag) => !flag.positional).flatMap((flag) => words(flag, input[flag.field]))
  const positional = (operation.positionals ?? []).flatMap((field) => (input[field] === undefined ? [] : [listText(input[field])]))
  // After `--` nothing is read as a flag (POSIX Utility Syntax Guideline 10).
  const guarded = positional.some((word) => word.startsWith('-'))
    ? [...named, ...more, '--', ...positional]
    : [...positional, ...named, ...more]
  return ['mcp-idp', ...command, ...guarded]
}

function words({ name, form }: Flag, value: unknown): string[] {
  const flag = `--${name}`
  const valued = (text: string) => (text.startsWith('-') ? [`${flag}=${text}`] : [flag, text])
  if (form === 'switch') return value === true ? [flag] : []
  if (form === 'repeated') return [value].flat().flatMap((one) => valued(String(one)))
  return valued(form === 'list' ? listText(value) : String(value))
}

/** Elements joined by commas; a comma or backslash inside an element is escaped, so that one group never becomes two. */
function listText(value: unknown): string {
  if (!Array.isArray(value)) return String(value)
  return value.map((one) => String(one).replace(/[\\,]/g, '\\$&')).join(',')
}

function listOf(text: string): string[] {
  const elements = text.match(/(?:\\.|[^\\,])+/gs) ?? []
  return elements.map((one) => one.trim().replace(/\\(.)/gs, '$1')).filter((one) => one !== '')
}

/** The text of one flag as the value its field wants; what does not fit stays text, for the schema to refuse. */
export function flagValue({ form }: Flag, texts: readonly string[]): unknown {
  const [text = ''] = texts.slice(-1)
  if (form === 'repeated') return texts
  if (form === 'list') return texts.flatMap(listOf)
  if (form === 'number') return /^-?\d+$/.test(text) ? Number(text) : text
  if (form === 'truth') return text === 'true' ? true : text === 'false' ? false : text
  return text
}
