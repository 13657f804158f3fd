import { useSignal } from '@preact/signals';
import { api } from '../../api/client.ts';
import { forget, views } from '../../live/store.ts';
import { DeleteDialog } from '../../ui/delete-dialog.tsx';
import { Icon } from '../../ui/icons.tsx';
import { problemText } from '../../ui/problem.tsx';
import { toast } from '../../ui/toast.tsx';

interface Props {
  selected: ReadonlySet<string>;
  onDone: () => void;
}

/** What can be done with all that is selected. */
export function BulkBar({ selected, onDone }: Props) {
  const deleting = useSignal(false);
  const busy = useSignal(false);
  const ids = [...selected].filter((id) => views.value.has(id));
  if (ids.length === 0) return null;

  const run = async (what: string, action: (id: string) => Promise<unknown>, undo?: () => void) => {
    busy.value = true;
    const { done, failure } = await forEach(ids, action);
    busy.value = false;
    if (done.length > 0) {
      toast(`${what} ${count(done.length)}`, undo ? { action: { label: 'Undo', run: undo } } : {});
    }
    if (failure)
      toast(`${count(ids.length - done.length)} not changed. ${problemText(failure)}`, { tone: 'bad' });
    return done;
  };
  const setEnabled = async (enabled: boolean) => {
    const back = () => void forEach(ids, (id) => api.patch(id, { enabled: !enabled }));
    await run(enabled ? 'Resumed' : 'Paused', (id) => api.patch(id, { enabled }), back);
    onDone();
  };
  const remove = async () => {
    deleting.value = false;
    forget(await run('Deleted', (id) => api.remove(id)));
    onDone();
  };
  const only = ids.length === 1 ? views.value.get(ids[0] ?? '')?.item.name : undefined;
  return (
    <section class="bulk" aria-label="Selected monitors">
      <span class="bulk-count">{ids.length} selected</span>
      <button
        type="button"
        class="button button-small"
        disabled={busy.value}
        onClick={() => setEnabled(false)}
      >
        <Icon name="pause" />
        Pause
      </button>
      <button
        type="button"
        class="button button-small"
        disabled={busy.value}
        onClick={() => setEnabled(true)}
      >
        <Icon name="play" />
        Resume
      </button>
      <button
        type="button"
        class="button button-small"
        disabled={busy.value}
        onClick={() => {
          deleting.value = true;
        }}
      >
        <Icon name="trash" />
        Delete
      </button>
      <button type="button" class="button button-small button-quiet" onClick={onDone}>
        Clear
      </button>
      {deleting.value && (
        <DeleteDialog
          what={only ?? count(ids.length)}
          confirmation={only ?? `delete ${ids.length}`}
          onConfirm={remove}
          onClose={() => {
            deleting.value = false;
          }}
        />
      )}
    </section>
  );
}

const AT_ONCE = 6;

/** Does it to each, a few at a time, and goes on when one of them is refused. */
async function forEach(
  ids: readonly string[],
  action: (id: string) => Promise<unknown>,
): Promise<{ done: string[]; failure: unknown }> {
  const queue = [...ids];
  const done: string[] = [];
  let failure: unknown = null;
  const work = async () => {
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      try {
        await action(id);
        done.push(id);
      } catch (cause) {
        failure = cause;
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  return { done, failure };
}

function count(monitors: number): string {
  return monitors === 1 ? '1 monitor' : `${monitors} monitors`;
}
