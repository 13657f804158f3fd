import { type Signal, useSignal } from '@preact/signals';
import { useCallback, useEffect, useRef } from 'preact/hooks';

export interface Requested<T> {
  data: Signal<T | null>;
  error: Signal<unknown>;
  loading: Signal<boolean>;
  reload: () => void;
}

/**
 * Loads something and loads it again when a dependency changes. The last answer stays on screen meanwhile, and an
 * answer that arrives after a newer question is dropped.
 */
export function useRequest<T>(
  load: (signal: AbortSignal) => Promise<T>,
  dependencies: readonly unknown[],
): Requested<T> {
  const data = useSignal<T | null>(null);
  const error = useSignal<unknown>(null);
  const loading = useSignal(true);
  const running = useRef<AbortController | null>(null);

  const run = useCallback(() => {
    running.current?.abort();
    const controller = new AbortController();
    running.current = controller;
    loading.value = true;
    load(controller.signal)
      .then((answer) => {
        if (controller.signal.aborted) return;
        data.value = answer;
        error.value = null;
        loading.value = false;
      })
      .catch((cause: unknown) => {
        if (controller.signal.aborted) return;
        error.value = cause;
        loading.value = false;
      });
  }, dependencies);

  useEffect(() => {
    run();
    return () => running.current?.abort();
  }, [run]);

  return { data, error, loading, reload: run };
}
