import { useSignal } from '@preact/signals';
import { api } from '../../api/client.ts';
import type { CheckResult, Monitor, Plugin } from '../../api/types.ts';
import { href } from '../../base.ts';
import { forget } from '../../live/store.ts';
import type { View } from '../../live/view.ts';
import { navigate, paths } from '../../router/router.ts';
import { statusWord } from '../../status/status.ts';
import { now } from '../../time/clock.ts';
import { lasting } from '../../time/format.ts';
import { At } from '../../time/time.tsx';
import { DeleteDialog } from '../../ui/delete-dialog.tsx';
import { Icon } from '../../ui/icons.tsx';
import { problemText } from '../../ui/problem.tsx';
import { StatusIcon, toneOf } from '../../ui/status-icon.tsx';
import { toast } from '../../ui/toast.tsx';
import { millisecondsText } from '../../units/format.ts';
import { PageHeading } from '../heading.tsx';

interface Props {
  monitor: Monitor;
  view: View | undefined;
  plugin: Plugin | undefined;
  onChanged: () => void;
}

export function MonitorHeader({ monitor, view, plugin, onChanged }: Props) {
  const status = view?.status ?? monitor.status;
  const down = view ? view.down : monitor.down;
  const since = view?.item.since ?? monitor.since;
  const target = monitor.settings['url'] ?? monitor.settings['host'];
  return (
    <header class="monitor-head">
      <nav class="crumbs" aria-label="Breadcrumb">
        <a href={href(paths.list)}>Monitors</a>
      </nav>
      <div class="monitor-title">
        <StatusIcon status={status} />
        <PageHeading title={monitor.name} class="page-title" />
        <Actions monitor={monitor} onChanged={onChanged} />
      </div>
      <p class="monitor-state">
        <strong class={toneOf(status)}>{statusWord(status, down)}</strong>
        {view?.stale ? (
          <>
            {' '}
            since no check arrives any more; it was {statusWord(monitor.status, monitor.down).toLowerCase()}
          </>
        ) : (
          since && (
            <>
              {' '}
              for {lasting((now.value - Date.parse(since)) / 1000)}, since <At time={since} />
            </>
          )
        )}
        <span class="dim">
          {' · '}
          {plugin?.title ?? monitor.kind}
          {typeof target === 'string' && (
            <>
              {' · '}
              <span class="monitor-target">{target}</span>
            </>
          )}
        </span>
      </p>
      {monitor.reason && status !== 'healthy' && !view?.stale && (
        <p class={`monitor-reason clamp ${toneOf(status)}`} title={monitor.reason.message}>
          {monitor.reason.message}
        </p>
      )}
      {monitor.problem && (
        <div class="notice notice-warn" role="alert">
          <p class="notice-text">This definition cannot be used: {monitor.problem}</p>
        </div>
      )}
    </header>
  );
}

function Actions({ monitor, onChanged }: { monitor: Monitor; onChanged: () => void }) {
  const checking = useSignal(false);
  const deleting = useSignal(false);
  const ours = monitor.managed_by === 'api';

  const check = async () => {
    if (checking.value || !monitor.enabled) return;
    checking.value = true;
    try {
      const result = await api.checkNow(monitor.id);
      toast(checkText(result), result.status === 'unhealthy' ? { tone: 'bad' } : {});
      onChanged();
    } catch (cause) {
      toast(problemText(cause), { tone: 'bad' });
    }
    checking.value = false;
  };
  const setEnabled = async (enabled: boolean, undo = true) => {
    try {
      await api.patch(monitor.id, { enabled });
      const action = { label: 'Undo', run: () => void setEnabled(!enabled, false) };
      toast(`${enabled ? 'Resumed' : 'Paused'} ${monitor.name}`, undo ? { action } : {});
      onChanged();
    } catch (cause) {
      toast(problemText(cause), { tone: 'bad' });
    }
  };
  const remove = async () => {
    deleting.value = false;
    try {
      await api.remove(monitor.id);
      forget([monitor.id]);
      toast(`Deleted ${monitor.name}`);
      await navigate(paths.list);
    } catch (cause) {
      toast(problemText(cause), { tone: 'bad' });
    }
  };

  return (
    <div class="monitor-actions">
      <button
        type="button"
        class="button button-primary"
        aria-disabled={checking.value || !monitor.enabled}
        title={monitor.enabled ? undefined : 'Paused: resume it first'}
        onClick={check}
      >
        {checking.value ? <span class="spinner" aria-hidden="true" /> : <Icon name="refresh" />}
        Check now
      </button>
      {ours ? (
        <>
          <button type="button" class="button" onClick={() => setEnabled(!monitor.enabled)}>
            <Icon name={monitor.enabled ? 'pause' : 'play'} />
            {monitor.enabled ? 'Pause' : 'Resume'}
          </button>
          <a class="button" href={href(paths.edit(monitor.id))}>
            <Icon name="edit" />
            Edit
          </a>
          <button
            type="button"
            class="button button-icon"
            aria-label="Delete"
            onClick={() => {
              deleting.value = true;
            }}
          >
            <Icon name="trash" />
          </button>
        </>
      ) : (
        <span class="tag">kept in {monitor.managed_by}</span>
      )}
      {deleting.value && (
        <DeleteDialog
          what={monitor.name}
          confirmation={monitor.name}
          onConfirm={remove}
          onClose={() => {
            deleting.value = false;
          }}
        />
      )}
    </div>
  );
}

function checkText({ status, error_class, message, duration_ms }: CheckResult): string {
  const outcome = error_class === null ? 'passed' : 'failed';
  const detail = message ? `: ${message}` : '';
  const took = duration_ms === null ? '' : ` in ${millisecondsText(duration_ms)}`;
  return `Check ${outcome}${took}, ${statusWord(status).toLowerCase()}${detail}`;
}
