/**
 * HTML forms, as far as a login or consent page needs: the action, the inputs and the button a person would press.
 * Not an HTML parser; it reads tags and attributes and nothing of their nesting.
 */

export interface Form {
  readonly action: string
  readonly method: 'GET' | 'POST'
  readonly inputs: readonly Input[]
}

export interface Input {
  readonly type: string
  readonly name: string
  readonly value: string
}

/** Every form of the page, in its order. */
export function formsOf(html: string): Form[] {
  return [...html.matchAll(/<form\b([^>]*)>([\s\S]*?)<\/form>/gi)].map(([, head = '', inner = '']) => {
    const attributes = attributesOf(head)
    return {
      action: attributes['action'] ?? '',
      method: attributes['method']?.toUpperCase() === 'POST' ? 'POST' : 'GET',
      inputs: [...inner.matchAll(/<(input|button)\b([^>]*)>/gi)].map(([, tag = '', rest = '']) =>
        inputOf(tag.toLowerCase(), attributesOf(rest)),
      ),
    }
  })
}

/** What a person types: `answers` go into text fields of their names, the user name into the others. */
export interface Typed {
  readonly username: string
  readonly password: string
  readonly answers?: Readonly<Record<string, string>> | undefined
}

/** What pressing the agreeing button sends: hidden fields, what is typed, and that button's own name. */
export function filled(form: Form, login: Typed): URLSearchParams {
  const fields = new URLSearchParams()
  for (const { type, name, value } of form.inputs) {
    if (name === '' || isButton(type)) continue
    if (type === 'password') fields.append(name, login.password)
    else if (type === 'hidden') fields.append(name, value)
    else if (type === 'text' || type === 'email') fields.append(name, login.answers?.[name] ?? login.username)
  }
  const button = form.inputs.find(
    ({ type, name, value }) => isButton(type) && name !== '' && !/cancel|deny|abort|refuse|^no$/i.test(`${name} ${value}`),
  )
  if (button) fields.append(button.name, button.value)
  return fields
}

/** Whether the form asks for a password. */
export function asksPassword(form: Form): boolean {
  return form.inputs.some(({ type }) => type === 'password')
}

function isButton(type: string): boolean {
  return type === 'submit' || type === 'image'
}

function inputOf(tag: string, attributes: Readonly<Record<string, string>>): Input {
  const type = (attributes['type'] ?? (tag === 'button' ? 'submit' : 'text')).toLowerCase()
  return { type, name: attributes['name'] ?? '', value: attributes['value'] ?? '' }
}

function attributesOf(text: string): Record<string, string> {
  const found: Record<string, string> = {}
  for (const [, name = '', double, single, bare] of text.matchAll(/([\w:-]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+)))?/g)) {
    found[name.toLowerCase()] = decoded(double ?? single ?? bare ?? '')
  }
  return found
}

const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function decoded(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]+)|#(\d+)|(\w+));/gi, (whole, hex?: string, decimal?: string, name?: string) => {
    if (hex) return String.fromCodePoint(Number.parseInt(hex, 16))
    if (decimal) return String.fromCodePoint(Number(decimal))
    return ENTITIES[name ?? ''] ?? whole
  })
}
