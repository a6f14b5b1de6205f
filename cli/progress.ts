/** Progress of long work on stderr: what is overwritten on a terminal, lines elsewhere, NDJSON with --json. */
import { type StepDone, stepText } from '../core/apply.js'
import { masked } from '../core/secret.js'
import { type IdentityState, identityText } from '../credentials-provider/identity-state.js'
import { type IdentityRow, identitySummary, withState } from './identity-table.js'
import { type LiveText, liveTable } from './live-table.js'

export interface StepTeller {
  step(step: StepDone): void
  /** A remark between steps. */
  note(line: string): void
  /** What became of an identity. */
  identity(state: IdentityState): void
  /** Identities besides these are gone. */
  identities(names: readonly string[]): void
  /** Leaves the terminal at the beginning of a line. */
  end(): void
}

/** Steps below which a list is no trouble to read. */
const FEW = 20
const BACK_TO_START = '\r\u001b[K'

/** Writes to `out`, which is stderr, so that stdout holds the result alone. */
export function stepTeller(json: boolean, out: NodeJS.WriteStream = process.stderr): StepTeller {
  let isOpen = false
  let gathered = ''
  const flush = () => {
    if (gathered !== '') out.write(masked(gathered))
    gathered = ''
  }
  const write = (text: string) => {
    // Where nobody watches it happen, what comes at once is written at once.
    if (gathered === '' && !out.isTTY) setImmediate(flush)
    gathered += text
    if (out.isTTY) flush()
  }
  const rows = new Map<string, IdentityRow>()
  let table: LiveText | undefined
  const line = (text: string) => {
    table?.clear()
    write(`${isOpen ? BACK_TO_START : ''}${text}\n`)
    isOpen = false
  }
  return {
    step(step) {
      if (json) return line(JSON.stringify({ event: 'step', ...step }))
      if (!out.isTTY || step.total <= FEW) return line(stepText(step))
      write(`${BACK_TO_START}${stepText(step).slice(0, (out.columns ?? 80) - 1)}`)
      isOpen = true
    },
    note: (text) => line(json ? JSON.stringify({ event: 'note', text }) : text),
    identity(state) {
      if (json) return line(JSON.stringify({ event: 'identity', ...state }))
      if (!out.isTTY) return state.state === 'due' || state.state === 'minting' ? undefined : line(identityText(state))
      withState(rows, state)
      table ??= liveTable(rows, out)
    },
    identities(names) {
      const left = new Set(names)
      for (const name of rows.keys()) if (!left.has(name)) rows.delete(name)
    },
    end() {
      table?.clear()
      table?.end()
      if (rows.size > 0) line(identitySummary([...rows.values()]))
      rows.clear()
      table = undefined
      if (isOpen) write('\n')
      isOpen = false
      flush()
    },
  }
}
