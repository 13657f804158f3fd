import type { FieldError, Problem } from './types.ts';

/** A request that did not succeed: the server's problem document, or one we write when there was no answer. */
export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail ?? problem.title);
    this.name = 'ApiError';
    this.problem = problem;
  }

  /** The last part of the problem's type, such as `invalid` or `stale-version`. */
  get code(): string {
    return this.problem.type.split('/').pop() ?? '';
  }

  get status(): number {
    return this.problem.status;
  }

  get fields(): FieldError[] {
    return this.problem.errors ?? [];
  }
}

/** Reads the problem document of a failed answer; a proxy in between may have put its own page there. */
export async function problemOf(response: Response): Promise<ApiError> {
  try {
    const body: unknown = await response.json();
    if (isProblem(body)) return new ApiError({ ...body, status: response.status });
  } catch {
    // The body is no JSON, so the status line is all there is to tell.
  }
  return new ApiError({
    type: 'about:blank',
    title: response.statusText || `HTTP ${response.status}`,
    status: response.status,
    detail: `the server answered ${response.status} without saying why`,
  });
}

export function unreachable(cause: unknown): ApiError {
  return new ApiError({
    type: 'unreachable',
    title: 'The server did not answer',
    status: 0,
    detail: cause instanceof Error ? cause.message : 'the connection failed',
  });
}

export function asApiError(cause: unknown): ApiError {
  return cause instanceof ApiError ? cause : unreachable(cause);
}

function isProblem(body: unknown): body is Problem {
  return typeof body === 'object' && body !== null && 'type' in body && 'title' in body;
}
