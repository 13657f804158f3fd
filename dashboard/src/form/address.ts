import type { Schema } from '../api/types.ts';

/** The one setting that names a web address, when that is all a kind needs; null otherwise. */
export function addressField(schema: Schema): string | null {
  const required = schema.required ?? [];
  const field = required[0];
  if (field === undefined || required.length !== 1) return null;
  return schema.properties?.[field]?.format === 'uri' ? field : null;
}

/** People paste `example.com`; a name without a scheme is meant to be https. */
export function withScheme(text: string): string | null {
  const trimmed = text.trim();
  const full = /^[a-z][a-z0-9+.-]*:\/\//i.test(trimmed) ? trimmed : `https://${trimmed}`;
  const url = URL.parse(full);
  if (!url || (url.protocol !== 'http:' && url.protocol !== 'https:')) return null;
  return url.hostname.includes('.') || url.hostname === 'localhost' || url.hostname.startsWith('[')
    ? full
    : null;
}

/** A name a person would give: the host, its port when it is no usual one, and the path when there is one. */
export function nameFromAddress(text: string): string | null {
  const url = URL.parse(text.trim());
  if (!url?.host) return null;
  const path = url.pathname.replace(/\/+$/, '');
  return url.host.replace(/^www\./, '') + path;
}
