/** The table of identities on a terminal, drawn over itself while the rows change. */
import { masked } from '../core/secret.js'
import { type IdentityRow, identityTable } from './identity-table.js'

export interface LiveText {
  /** Makes room for a line above; the table is drawn again below it. */
  clear(): void
  end(): void
}

/** Often enough for an eye, seldom enough to cost nothing. */
const FRAME_MS = 100

/** Draws `rows` as they stand, ten times a second, until it is ended. */
export function liveTable(rows: ReadonlyMap<string, IdentityRow>, out: NodeJS.WriteStream): LiveText {
  let update: ReturnType<typeof import('log-update').createLogUpdate> | undefined
  let isEnded = false
  const draw = () =>
    update?.(masked(identityTable([...rows.values()], { columns: out.columns ?? 80, rows: out.rows ?? 24 }, Date.now()).join('\n')))
  void import('log-update').then(({ createLogUpdate }) => {
    // A hidden cursor stays hidden when the process is killed.
    if (!isEnded) update = createLogUpdate(out, { showCursor: true })
  })
  const timer = setInterval(draw, FRAME_MS)
  timer.unref()
  return {
    clear: () => update?.clear(),
    end() {
      isEnded = true
      clearInterval(timer)
      update?.done()
    },
  }
}
