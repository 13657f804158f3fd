import type { FieldError } from '../api/types.ts';
import { sentence } from '../units/words.ts';
import type { Path } from './field.ts';

/** The server's words for a field: what is wrong and what to do instead. */
export function fieldMessage({ reason, hint }: FieldError): string {
  return sentence(hint ? `${reason}: ${hint}` : reason);
}

/** The messages of a problem by path; several about one field are read together. */
export function messagesOf(errors: readonly FieldError[]): Map<Path, string> {
  const messages = new Map<Path, string>();
  for (const error of errors) {
    const before = messages.get(error.field);
    const message = fieldMessage(error);
    messages.set(error.field, before ? `${before}. ${message}` : message);
  }
  return messages;
}

/** The path itself, and then what encloses it: `a.b[0].c`, `a.b[0]`, `a.b`, `a`. */
export function enclosing(path: Path): Path[] {
  const paths: Path[] = [];
  let rest = path;
  while (rest !== '') {
    paths.push(rest);
    const cut = Math.max(rest.lastIndexOf('.'), rest.lastIndexOf('['));
    rest = cut > 0 ? rest.slice(0, cut) : '';
  }
  return paths;
}

/** The field on the page that a path of the server belongs to: its own, or the nearest around it. */
export function nearestField(path: Path, known: (path: Path) => boolean): Path | null {
  return enclosing(path).find(known) ?? null;
}
