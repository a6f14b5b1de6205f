/**
 * A plan that is approved later, by the same person or another: what was asked for and a digest of what it would change.
 * Nothing is carried out from the file: its input is planned again, and the digest must be the same.
 */
import { createHash } from 'node:crypto'
import { z } from 'zod'
import { type Plan, renderPlan } from './converge.js'
import { invalidInput, ToolkitError } from './errors.js'
import { jsonOf } from './json-text.js'
import { problemsOf } from './operation.js'
import { fingerprint } from './plan.js'
import { readSmallFile, savePrivateFile } from './private-file.js'
import type { Receipt } from './sink.js'

/** Long enough for a review, short enough that nobody carries out last month's intent. */
const LIFETIME_MS = 24 * 60 * 60 * 1000

const shape = z.strictObject({
  version: z.literal(1),
  operation: z.string().max(64),
  input: z.record(z.string(), z.unknown()),
  /** Issuer and tenant, so that a plan for one realm is not carried out in another. */
  tenants: z.array(z.string().max(2048)),
  /** For people to read. */
  changes: z.array(z.string()),
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  expires_at: z.iso.datetime(),
})
export type PlanFile = z.infer<typeof shape>

/** What was asked for: an operation's name and its input. */
export interface Asked {
  readonly operation: string
  readonly input: Readonly<Record<string, unknown>>
}

/** Saves a plan, 0600. Secrets are in it by the names of their files only. */
export async function savePlanFile(path: string, { operation, input }: Asked, plan: Plan, now: Date): Promise<Receipt> {
  const told: Omit<PlanFile, 'digest'> = {
    version: 1,
    operation,
    input: { ...input },
    tenants: [...plan.tenants],
    changes: renderPlan(plan),
    expires_at: new Date(now.getTime() + LIFETIME_MS).toISOString(),
  }
  const file: PlanFile = { ...told, digest: digestOf(told, plan) }
  return savePrivateFile(path, `${JSON.stringify(file, null, 2)}\n`)
}

/** @throws ToolkitError not_found, invalid_input for a file that is no plan, of another operation, or too old */
export async function readPlanFile(path: string, operation: string, now: Date): Promise<PlanFile> {
  const text = await readSmallFile(path)
  if (text === undefined)
    throw new ToolkitError('not_found', `there is no plan file ${path}`, { kind: 'file', key: path }, 'make one with --plan-out')
  const parsed = shape.safeParse(jsonOf(text))
  if (!parsed.success)
    throw invalidInput(
      'the plan file',
      problemsOf(parsed.error).map((one) => ({ ...one, path: `${path}:${one.path}` })),
      'make a new one with --plan-out',
    )
  const refuse = (expected: string, found: string) =>
    invalidInput('the plan file', [{ path, expected, found }], 'make a new one with --plan-out')
  if (parsed.data.operation !== operation) throw refuse(`a plan of ${operation}`, parsed.data.operation)
  if (Date.parse(parsed.data.expires_at) < now.getTime()) throw refuse('a plan that is not too old', `expired ${parsed.data.expires_at}`)
  return parsed.data
}

/** @throws ToolkitError conflict with what moved, unless the plan is the one that was saved; invalid_input for an edited file */
export function refuseOtherPlan(file: PlanFile, plan: Plan): void {
  if (digestOf(file, plan) === file.digest) return
  const now = renderPlan(plan)
  const moved = [
    ...file.changes.filter((line) => !now.includes(line)).map((line) => `planned then, not now: ${line.trim()}`),
    ...now.filter((line) => !file.changes.includes(line)).map((line) => `planned now, not then: ${line.trim()}`),
    ...(canonicalTenants(file.tenants) === canonicalTenants(plan.tenants)
      ? []
      : [`then for ${file.tenants.join(', ')}, now for ${plan.tenants.join(', ')}`]),
  ]
  if (moved.length === 0) {
    const problem = { path: 'digest', expected: 'the file as it was saved', found: 'an edited one' }
    throw invalidInput('the plan file', [problem], 'make a new one with --plan-out')
  }
  throw new ToolkitError(
    'conflict',
    ['this is not the plan that was saved; nothing was written:', ...moved.map((line) => `  ${line}`)].join('\n'),
    { kind: 'plan', key: 'moved', moved },
    'look at a new plan with --plan-out',
  )
}

/** Of all that the file tells, so that nobody agrees to words that are not the plan's, and of what would be changed. */
function digestOf({ operation, input, expires_at, ...told }: Omit<PlanFile, 'digest'>, { changes, manual, tenants }: Plan): string {
  const sameEachTime = [changes.map(fingerprint).sort(), manual, [...tenants].sort()]
  const text = JSON.stringify([operation, Object.entries(input).sort(), expires_at, told.changes, told.tenants, ...sameEachTime])
  return createHash('sha256').update(text).digest('hex')
}

function canonicalTenants(tenants: readonly string[]): string {
  return [...tenants].sort().join()
}
