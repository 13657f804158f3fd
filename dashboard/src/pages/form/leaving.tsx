import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { guardLeaving } from '../../router/router.ts';
import { Dialog } from '../../ui/dialog.tsx';

/** Asks before what was typed is lost. */
export function AskBeforeLeaving({ when }: { when: boolean }) {
  const answer = useSignal<((leave: boolean) => void) | null>(null);
  useEffect(() => {
    if (!when) return;
    const onUnload = (event: BeforeUnloadEvent) => event.preventDefault();
    window.addEventListener('beforeunload', onUnload);
    guardLeaving(
      () =>
        new Promise((resolve) => {
          answer.value = resolve;
        }),
    );
    return () => {
      window.removeEventListener('beforeunload', onUnload);
      guardLeaving(null);
    };
  }, [when]);

  if (answer.value === null) return null;
  const settle = (leave: boolean) => {
    answer.value?.(leave);
    answer.value = null;
  };
  return (
    <Dialog title="Leave without saving?" onClose={() => settle(false)}>
      <p>What was typed here is not saved.</p>
      <div class="dialog-actions">
        <button type="button" class="button" onClick={() => settle(false)}>
          Stay
        </button>
        <button type="button" class="button button-danger" onClick={() => settle(true)}>
          Leave
        </button>
      </div>
    </Dialog>
  );
}
