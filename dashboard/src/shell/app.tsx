import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { loadPlugins } from '../api/catalogue.ts';
import { href } from '../base.ts';
import { announcer } from '../live/announce.ts';
import { onEvent } from '../live/store.ts';
import { FormPage } from '../pages/form/form-page.tsx';
import { ListPage } from '../pages/list/list-page.tsx';
import { MonitorPage } from '../pages/monitor/monitor-page.tsx';
import { NotFoundPage } from '../pages/not-found.tsx';
import { navigate, paths, route } from '../router/router.ts';
import { Icon } from '../ui/icons.tsx';
import { Toasts } from '../ui/toast.tsx';
import { ConnectionBanner, ConnectionPill } from './connection.tsx';
import { HelpDialog, helpOpen } from './help.tsx';
import { PreferencesMenu } from './preferences.tsx';
import { loadServer } from './server.ts';
import { useShortcuts } from './shortcuts.ts';

export function App() {
  useEffect(() => {
    void loadPlugins();
    void loadServer();
  }, []);

  useShortcuts({
    '?': () => {
      helpOpen.value = true;
    },
    'g l': () => void navigate(paths.list),
    'g a': () => void navigate(paths.add),
  });

  return (
    <>
      <a class="skip-link" href="#main">
        Skip to content
      </a>
      <Header />
      <ConnectionBanner />
      <main id="main" tabIndex={-1}>
        <CurrentPage />
      </main>
      <Announcements />
      <Toasts />
      {helpOpen.value && <HelpDialog />}
    </>
  );
}

function Header() {
  const onList = route.value.page === 'list';
  return (
    <header class="header">
      <div class="header-inner">
        <a class="brand" href={href(paths.list)} aria-label="wise-monitoring">
          <svg class="brand-mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
            <path d="M3 17h6l3-9 6 16 3.5-9H29" />
          </svg>
          <span class="brand-name">wise-monitoring</span>
        </a>
        <nav class="header-nav" aria-label="Main">
          <a href={href(paths.list)} aria-current={onList ? 'page' : undefined}>
            Monitors
          </a>
        </nav>
        <div class="header-tools">
          <ConnectionPill />
          <a
            class="header-add"
            aria-label="Add monitor"
            href={href(paths.add)}
            aria-current={route.value.page === 'new' ? 'page' : undefined}
          >
            <Icon name="plus" />
            <span>Add monitor</span>
          </a>
          <button
            type="button"
            class="header-button header-help"
            aria-label="Keyboard shortcuts"
            onClick={() => {
              helpOpen.value = true;
            }}
          >
            <Icon name="help" />
          </button>
          <PreferencesMenu />
        </div>
      </div>
    </header>
  );
}

function CurrentPage() {
  const { value } = route;
  switch (value.page) {
    case 'list':
      return <ListPage />;
    case 'monitor':
      return <MonitorPage key={value.id} id={value.id} />;
    case 'new':
      return <FormPage key="new" id={null} />;
    case 'edit':
      return <FormPage key={value.id} id={value.id} />;
    case 'not-found':
      return <NotFoundPage />;
  }
}

/** Speaks changes of status, gathered so that an outage of a hundred monitors is one sentence. */
function Announcements() {
  const spoken = useSignal('');
  useEffect(() => {
    const announce = announcer((text) => {
      spoken.value = text;
    });
    return onEvent((event) => {
      if (event.type === 'status') announce(event);
    });
  }, []);
  return (
    <div class="sr-only" aria-live="polite" aria-atomic="true" data-announcements>
      {spoken.value}
    </div>
  );
}
