/** An operation's input as flags and back: the CLI parses with it, a refused tool call prints with it. */
import { z } from 'zod'
import type { Operation } from '../core/operation.js'

export interface Flag {
  /** Field of the input. */
  readonly field: string
  /** Spelling without dashes: `mcp-clients`. */
  readonly name: string
  /** `switch` takes no value; `truth` takes true or false; `list` takes `a,b`; `repeated` is given once an element. */
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
  if (inner instanceof z.ZodBoolean) return outer instanceof z.ZodDefault ? 'switch' : 'truth'
  return 'text'
}

function unwrapped(schema: z.ZodType): z.ZodType {
  return schema instanceof z.ZodOptional || schema instanceof z.ZodDefault ? unwrapped(schema.unwrap() as z.ZodType) : schema
}

/** What a person would type for this input, as words; quote them for a shell before printing. */
export function commandLine(command: readonly string[], operation: Shaped, input: Readonly<Record<string, unknown>>): string[] {
  const flags = flagsOf(operation).filter(({ field }) => input[field] !== undefined)
  const positional = (operation.positionals ?? []).flatMap((field) =>
    input[field] === undefined ? [] : [[input[field]].flat().map(String).join(',')],
  )
  const named = flags.filter((flag) => !flag.positional).flatMap((flag) => words(flag, input[flag.field]))
  return ['mcp-idp', ...command, ...positional, ...named]
}

function words({ name, form }: Flag, value: unknown): string[] {
  const flag = `--${name}`
  if (form === 'switch') return value === true ? [flag] : []
  if (form === 'repeated') return [value].flat().flatMap((one) => [flag, String(one)])
  return [flag, [value].flat().map(String).join(',')]
}

/** The text of one flag as the value its field wants; what does not fit stays text, for the schema to refuse. */
export function flagValue({ form }: Flag, texts: readonly string[]): unknown {
  const [text = ''] = texts.slice(-1)
  if (form === 'repeated') return texts
  if (form === 'list')
    return texts
      .flatMap((one) => one.split(','))
      .map((one) => one.trim())
      .filter((one) => one !== '')
  if (form === 'number') return /^-?\d+$/.test(text) ? Number(text) : text
  if (form === 'truth') return text === 'true' ? true : text === 'false' ? false : text
  return text
}
