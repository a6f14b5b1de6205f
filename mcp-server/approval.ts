/**
 * Who may say yes to a plan that an assistant asked for: a person. Class `write` is asked through elicitation where the
 * client has it; everything else, and whatever goes wrong on the way, is `declined` with the command for a terminal.
 * No argument and no second tool can stand in for the person.
 */
import type { Server } from '@modelcontextprotocol/sdk/server/index.js'
import { type Plan, renderPlan } from '../core/converge.js'
import { ToolkitError } from '../core/errors.js'
import { quotePosix } from '../ide/quote.js'
import { commandLine } from '../toolkit/command-line.js'
import { homeWords } from '../toolkit/home.js'
import type { ListedTool } from './tools.js'

export interface Asking {
  readonly server: Server
  readonly timeoutMs: number
  readonly signal: AbortSignal
  /** Home folder of this call; a person's terminal may have another. */
  readonly home: string
}

/** The approval of one call. @throws ToolkitError declined, with the plan and the exact command line */
export function approvalFor(
  { row, operation }: ListedTool,
  input: Readonly<Record<string, unknown>>,
  asking: Asking,
): (plan: Plan) => Promise<boolean> {
  return async (plan) => {
    const lines = renderPlan(plan)
    const declined = (why: string) => {
      const command = quotePosix(commandLine(row.command, operation, input, homeWords(asking.home)))
      const message = [`${why}; nothing was changed. The plan was:`, ...lines].join('\n')
      return new ToolkitError('declined', message, { command, plan: lines }, `a person can run this in a terminal: ${command}`)
    }
    if (row.safety === 'destructive') throw declined('this deletes something, which only a person at a terminal may decide')
    if (operation.needsPerson?.(input) === true)
      throw declined('this grants administration, or may, which only a person at a terminal may decide')
    if (asking.server.getClientCapabilities()?.elicitation?.form === undefined) throw declined('this client cannot ask a person')
    if (!(await askPerson(asking, lines))) throw declined('the person did not say yes')
    return true
  }
}

async function askPerson({ server, timeoutMs, signal }: Asking, lines: readonly string[]): Promise<boolean> {
  try {
    const answer = await server.elicitInput(
      {
        mode: 'form',
        message: ['This would change:', ...lines].join('\n'),
        requestedSchema: {
          type: 'object',
          properties: {
            apply: { type: 'boolean', title: 'Make these changes', description: 'true applies exactly this plan', default: false },
          },
          required: ['apply'],
        },
      },
      { timeout: timeoutMs, signal },
    )
    return answer.action === 'accept' && answer.content?.['apply'] === true && !signal.aborted
  } catch {
    return false
  }
}
