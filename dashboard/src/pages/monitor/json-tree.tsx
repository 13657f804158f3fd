import type { Json } from '../../api/types.ts';

const OPEN_TO_DEPTH = 1;

/** Any JSON, folded where it is deep. */
export function JsonTree({ name, value, depth = 0 }: { name: string; value: Json; depth?: number }) {
  if (value === null || typeof value !== 'object') {
    return (
      <div class="json-leaf">
        <span class="json-key">{name}:</span> <span class="json-value">{JSON.stringify(value)}</span>
      </div>
    );
  }
  const entries: [string, Json][] = Array.isArray(value)
    ? value.map((item, index) => [String(index), item])
    : Object.entries(value);
  if (entries.length === 0) {
    return (
      <div class="json-leaf">
        <span class="json-key">{name}:</span>{' '}
        <span class="json-value">{Array.isArray(value) ? '[]' : '{}'}</span>
      </div>
    );
  }
  return (
    <details class="json-node" open={depth < OPEN_TO_DEPTH}>
      <summary>
        <span class="json-key">{name}</span> <span class="dim">{entries.length}</span>
      </summary>
      {entries.map(([key, child]) => (
        <JsonTree key={key} name={key} value={child} depth={depth + 1} />
      ))}
    </details>
  );
}
