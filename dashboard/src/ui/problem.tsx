import { asApiError } from '../api/problem.ts';
import { Icon } from './icons.tsx';

/** What went wrong with a request, in the server's words, and the way to try again. */
export function ProblemBox({ error, onRetry }: { error: unknown; onRetry?: () => void }) {
  const { problem } = asApiError(error);
  return (
    <div class="notice notice-bad" role="alert">
      <div class="notice-text">
        <strong>{problem.title}</strong>
        {problem.detail && <p>{problem.detail}</p>}
        {problem.request_id && <p class="dim">Request {problem.request_id}</p>}
      </div>
      {onRetry && (
        <button type="button" class="button button-small" onClick={onRetry}>
          <Icon name="refresh" />
          Try again
        </button>
      )}
    </div>
  );
}

/** One line for a toast. */
export function problemText(error: unknown): string {
  const { problem } = asApiError(error);
  const first = problem.errors?.[0];
  if (first) return `${problem.title}: ${first.field}: ${first.reason}`;
  return problem.detail ? `${problem.title}: ${problem.detail}` : problem.title;
}
