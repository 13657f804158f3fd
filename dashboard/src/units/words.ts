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

/** A name of the machine as a title: `tls_version` reads "TLS version". */
export function titleOf(name: string): string {
  const words = name.split(/[._\s]+/).filter(Boolean);
  return words
    .map((word, index) => {
      if (ABBREVIATIONS.has(word.toLowerCase())) return word.toUpperCase();
      return index === 0 ? word.charAt(0).toUpperCase() + word.slice(1) : word;
    })
    .join(' ');
}
