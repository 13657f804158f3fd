const ABBREVIATIONS = new Set([
  'dns',
  'tls',
  'tcp',
  'http',
  'ip',
  'url',
  'id',
  'ttl',
  'cpu',
  'sha256',
  'api',
  'ca',
  'cn',
]);

const WHOLE: Record<string, string> = { op: 'operator' };

/** A name of the machine as a title: `tls_version` reads "TLS version". */
export function titleOf(name: string): string {
  const words = name.split(/[._\s]+/).filter(Boolean);
  return words
    .map((given, index) => {
      const word = WHOLE[given] ?? given;
      if (ABBREVIATIONS.has(word.toLowerCase())) return word.toUpperCase();
      return index === 0 ? word.charAt(0).toUpperCase() + word.slice(1) : word;
    })
    .join(' ');
}

/** Texts of the server begin in lower case, as error messages do. */
export function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
