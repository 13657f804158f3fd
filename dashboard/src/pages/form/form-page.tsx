import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { loadPlugins, plugins, pluginsError } from '../../api/catalogue.ts';
import { api } from '../../api/client.ts';
import type { Monitor } from '../../api/types.ts';
import { href } from '../../base.ts';
import { paths } from '../../router/router.ts';
import { ProblemBox } from '../../ui/problem.tsx';
import { PageHeading } from '../heading.tsx';
import { MonitorForm } from './monitor-form.tsx';

/** Adds a monitor, or edits the one with the id. */
export function FormPage({ id }: { id: string | null }) {
  const monitor = useSignal<Monitor | null>(null);
  const error = useSignal<unknown>(null);
  // Counts the times the form was started over with what the server has now.
  const edition = useSignal(0);

  const load = async () => {
    if (id === null) return;
    try {
      monitor.value = await api.monitor(id);
      error.value = null;
      edition.value += 1;
    } catch (cause) {
      error.value = cause;
    }
  };
  useEffect(() => {
    void load();
  }, [id]);

  const title = id === null ? 'Add a monitor' : `Edit ${monitor.value?.name ?? 'monitor'}`;
  const failure = error.value ?? pluginsError.value;
  const retry = () => {
    void loadPlugins();
    void load();
  };
  const waiting = plugins.value === null || (id !== null && monitor.value === null);
  const { value: current } = monitor;
  return (
    <div class="page page-form">
      <nav class="crumbs" aria-label="Breadcrumb">
        <a href={href(paths.list)}>Monitors</a>
        {id !== null && current && (
          <>
            <span aria-hidden="true"> / </span>
            <a href={href(paths.monitor(id))}>{current.name}</a>
          </>
        )}
      </nav>
      <PageHeading title={title} class="page-title" />
      {failure !== null ? (
        <ProblemBox error={failure} onRetry={retry} />
      ) : waiting ? (
        <p class="waiting" role="status">
          <span class="spinner" aria-hidden="true" /> Loading
        </p>
      ) : current && current.managed_by !== 'api' ? (
        <div class="notice notice-warn">
          <p class="notice-text">
            {current.name} is kept in <code>{current.managed_by}</code>. Change it there; the change is taken
            over by itself.
          </p>
        </div>
      ) : (
        <MonitorForm key={edition.value} monitor={current} plugins={plugins.value ?? []} onReload={load} />
      )}
    </div>
  );
}
