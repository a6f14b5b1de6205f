/** Text that somebody else wrote: data for people and models, never an instruction to a terminal or an assistant. */

/** C0 except newline and tab, DEL, C1, bidirectional controls, zero-width characters, tag characters. */
const FORBIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]|[\u{e0000}-\u{e007f}]/gu
const LONGEST = 512

/** The text without characters that steer a terminal or hide, at most `limit` UTF-16 units long. */
export function cleanText(text: string, limit = LONGEST): string {
  const clean = text.replace(FORBIDDEN, '')
  return clean.length <= limit ? clean : `${clean.slice(0, limit - 1).replace(/[\ud800-\udbff]$/, '')}…`
}
