/** Text of a ratio as per cent. It is cut, never rounded up: one lost second must not read as 100 %. */
export function uptimeText(ratio: number | null | undefined): string {
  if (ratio === null || ratio === undefined || Number.isNaN(ratio)) return '–';
  if (ratio >= 1) return '100 %';
  // The tiny term undoes the error of binary fractions, which would turn 99.93 into 99.92.
  const hundredths = Math.max(0, Math.floor(ratio * 10_000 + 1e-7));
  return `${(Math.min(hundredths, 9999) / 100).toFixed(2)} %`;
}

export function millisecondsText(milliseconds: number | null | undefined): string {
  if (milliseconds === null || milliseconds === undefined || Number.isNaN(milliseconds)) return '–';
  const size = Math.abs(milliseconds);
  if (size === 0) return '0 ms';
  if (size < 0.1) return `${significant(milliseconds * 1000)} µs`;
  if (size < 999.5) return `${significant(milliseconds)} ms`;
  return secondsText(milliseconds / 1000);
}

function secondsText(seconds: number): string {
  const size = Math.abs(seconds);
  if (size < 0.9995) return millisecondsText(seconds * 1000);
  if (size < 120) return `${significant(seconds)} s`;
  if (size < 7200) return `${significant(seconds / 60)} min`;
  if (size < 172_800) return `${significant(seconds / 3600)} h`;
  return `${significant(seconds / 86_400)} d`;
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB'];

function bytesText(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${significant(value)} ${BYTE_UNITS[unit] ?? 'B'}`;
}

/** About three significant digits, without an exponent and without digits that say nothing. */
export function significant(value: number): string {
  const size = Math.abs(value);
  const digits = size >= 100 || Number.isInteger(value) ? 0 : size >= 10 ? 1 : 2;
  const text = value.toLocaleString('en', { maximumFractionDigits: digits });
  return text === '0' && value !== 0 ? value.toPrecision(1) : text;
}

/** Units that need no word, since the title of the metric already says what is counted. */
const WORDLESS: ReadonlySet<string> = new Set(['count', 'total', 'state', 'none', 'info', '']);

/** A reading with its unit, as the metric catalogue names units. */
export function valueText(value: number | null | undefined, unit: string): string {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  switch (unit) {
    case 'seconds':
      return value === 0 ? '0 s' : secondsText(value);
    case 'milliseconds':
      return millisecondsText(value);
    case 'bytes':
      return bytesText(value);
    case 'bytes_per_second':
      return `${bytesText(value)}/s`;
    case 'ratio':
      return `${significant(value * 100)} %`;
    case 'percent':
      return `${significant(value)} %`;
    case 'celsius':
      return `${significant(value)} °C`;
    case 'days':
      return `${significant(value)} d`;
    case 'per_second':
      return `${significant(value)}/s`;
    case 'boolean':
      return value === 0 ? 'no' : 'yes';
    default: {
      const number = significant(value);
      return WORDLESS.has(unit) ? number : `${number} ${unit.replaceAll('_', ' ')}`;
    }
  }
}
