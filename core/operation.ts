/** What the toolkit can do, written once. Surfaces (CLI, MCP, library) only translate. */
import { z } from 'zod'
import type { Outcome, Target } from './converge.js'
import { invalidInput, type Problem } from './errors.js'
import type { Right } from './rights.js'
import type { SettingSource } from './settings.js'

/** Safety classes and the MCP annotations they imply (MCP 2025-11-25, ToolAnnotations). */
export const SAFETY = {
  read: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  issue: { readOnlyHint: false, destructiveHint: false, idempotentHint: false, openWorldHint: true },
  write: { readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  destructive: { readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
} as const
export type Safety = keyof typeof SAFETY

/** What every operation may ask for; each room extends it by what its own operations need. */
export interface Context {
  readonly profile: string
  /** Absolute path of the home folder. */
  readonly home: string
  readonly settings: SettingSource
  readonly signal?: AbortSignal
  /** One line about a finished step of long work. */
  progress(line: string): void
  converge(target: Target): Promise<Outcome>
}

interface Described<I extends z.ZodObject, O extends z.ZodObject> {
  /** One paragraph: help text and tool description, at most 600 characters. */
  readonly summary: string
  /** Rights at the identity provider; absent where none is asked. */
  readonly needs?: readonly Right[]
  readonly input: I
  readonly output: O
  /** Input fields that the CLI takes by position, in order. */
  readonly positionals?: readonly string[]
  /** List fields whose flag is given once an element, by that flag: `{ server_urls: 'server-url' }`; others take `a,b`. */
  readonly repeated?: Readonly<Record<string, string>>
  /** Real inputs: help texts, documents and the "plan writes nothing" test use them. */
  readonly examples: readonly [z.input<I>, ...z.input<I>[]]
}

export interface Operation<C extends Context = Context> extends Described<z.ZodObject, z.ZodObject> {
  readonly changes: boolean
  /** True when this input grants or removes what only a person at a terminal may decide, whatever the class. */
  needsPerson?(input: unknown): boolean
  /** @throws ToolkitError invalid_input with every problem and its place; then whatever the work throws */
  run(raw: unknown, context: C): Promise<Record<string, unknown>>
}

/** Reads, or mints a token; plans nothing. */
export function queryOperation<I extends z.ZodObject, O extends z.ZodObject, C extends Context>(
  it: Described<I, O> & { handler(input: z.output<I>, context: C): Promise<z.input<O>> },
): Operation<C> {
  return { ...it, changes: false, run: async (raw, context) => it.output.parse(await it.handler(parseInput(it.input, raw), context)) }
}

/** Says what should be true and how to report it; the core plans, asks, applies and verifies. */
export function changeOperation<I extends z.ZodObject, O extends z.ZodObject, C extends Context>(
  it: Described<I, O> & {
    target(input: z.output<I>, context: C): Promise<Target>
    report(outcome: Outcome, input: z.output<I>, context: C): z.input<O> | Promise<z.input<O>>
    needsPerson?(input: z.output<I>): boolean
  },
): Operation<C> {
  const { needsPerson } = it
  return {
    ...it,
    changes: true,
    ...(needsPerson ? { needsPerson: (raw: unknown) => needsPerson(parseInput(it.input, raw)) } : {}),
    run: async (raw, context) => {
      const input = parseInput(it.input, raw)
      return it.output.parse(await it.report(await context.converge(await it.target(input, context)), input, context))
    },
  } as Operation<C>
}

/** @throws ToolkitError invalid_input */
export function parseInput<I extends z.ZodObject>(schema: I, raw: unknown): z.output<I> {
  const result = schema.safeParse(raw)
  if (result.success) return result.data
  throw invalidInput('the input', problemsOf(result.error))
}

/** A schema's findings, each with its place: `groups[2]`. */
export function problemsOf(error: z.ZodError): Problem[] {
  return error.issues.map((issue) => ({ path: z.core.toDotPath(issue.path) || '(whole)', expected: issue.message }))
}

/** One change of a plan, as results show it. */
const changeShape = z.strictObject({
  action: z.enum(['create', 'update', 'adopt', 'remove', 'save_secret', 'rotate_secret']),
  kind: z.string(),
  key: z.string(),
  fields: z.array(z.string()),
})
/** Where a secret or token went. */
export const receiptShape = z.strictObject({ saved_to: z.string(), mode: z.string(), expires_at: z.string().optional() })
/** What every change operation reports besides its own fields. */
export const outcomeShape = {
  applied: z.boolean().describe('false: planned only, or nothing to do'),
  changes: z.array(changeShape),
  receipts: z.array(receiptShape),
  manual_steps: z.array(z.strictObject({ title: z.string(), steps: z.array(z.string()) })),
}

/** The fields of `outcomeShape`; values of fields are left out, names of fields are enough. */
export function outcomeFields({ applied, changes, receipts, manual }: Outcome) {
  return {
    applied,
    changes: changes.map(({ action, kind, key, fields }) => ({ action, kind, key, fields: fields.map(({ field }) => field) })),
    receipts: [...receipts],
    manual_steps: manual.map(({ title, steps }) => ({ title, steps: [...steps] })),
  }
}
