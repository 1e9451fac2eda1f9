import '@mantine/core/styles.css';
import '@mantine/notifications/styles.css';
import './styles.css';
import { MantineProvider } from '@mantine/core';
import { Notifications } from '@mantine/notifications';
import { QueryClient, QueryClientProvider } from '@tanstack/react-query';
import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router';
import { rereading } from './api/calm';
import { Problem } from './api/client';
import { notice } from './api/presence';
import { App } from './app';
import { languageNow, ready } from './i18n';
import { stack } from './parts/stacked';
import { theme } from './theme';

// A refusal stays a refusal; only what did not answer is asked again, unless it was waited for long enough.
const again = (failures: number, problem: Error) =>
  failures < 2 && (!(problem instanceof Problem) || (problem.status === 0 && problem.code !== 'TIMED_OUT') || problem.status >= 500);

const client: QueryClient = new QueryClient({
  defaultOptions: { queries: { retry: again, ...rereading(() => client) } },
});

notice(window);
stack(window);
document.documentElement.lang = languageNow();
await ready();

// Variables and classes stand in the style sheet: the page writes no style element, so its policy allows none.
createRoot(document.getElementById('root') as HTMLElement).render(
  <StrictMode>
    <MantineProvider theme={theme()} defaultColorScheme="auto" withCssVariables={false} withGlobalClasses={false}>
      <Notifications position="bottom-right" />
      <QueryClientProvider client={client}>
        <BrowserRouter basename="/portal">
          <App />
        </BrowserRouter>
      </QueryClientProvider>
    </MantineProvider>
  </StrictMode>,
);
