/** Who sees what: the pages by path, the rail by role. */
import { useQuery } from '@tanstack/react-query';
import { lazy, Suspense } from 'react';
import { Link, Navigate, Route, Routes, useLocation } from 'react-router';
import { oversees } from './api/calm';
import { useLive } from './api/live';
import { me } from './api/queries';
import { t } from './i18n';
import { Boundary } from './parts/boundary';
import { Page, Read, Waiting } from './parts/page';
import { Shell } from './parts/shell';
import { Enrol } from './screens/enrol';
import { Home } from './screens/home';
import { SignIn } from './screens/sign-in';

const Register = lazy(() => import('./screens/register'));
const Keys = lazy(() => import('./screens/keys'));
const Contracts = lazy(() => import('./screens/contracts'));
const Contract = lazy(() => import('./screens/contract'));
const Compose = lazy(() => import('./screens/compose'));
const Runs = lazy(() => import('./screens/runs'));
const Run = lazy(() => import('./screens/run'));
const Evidence = lazy(() => import('./screens/evidence'));
const Audit = lazy(() => import('./screens/audit'));
const Datasets = lazy(() => import('./screens/datasets'));
const Dataset = lazy(() => import('./screens/dataset'));
const Wizard = lazy(() => import('./screens/wizard'));
const Payment = lazy(() => import('./screens/payment'));
const Dispute = lazy(() => import('./screens/dispute'));
const Payments = lazy(() => import('./screens/payments'));
const Admin = lazy(() => import('./screens/admin'));

export function App() {
  const session = useQuery(me);
  const { pathname } = useLocation();
  useLive(session.data?.member, oversees(session.data));
  return (
    <Boundary place={pathname}>
      <Suspense fallback={<div className="plain"><main><Waiting /></main></div>}>
        <Routes>
          <Route path="/enrol" element={<Enrol />} />
          <Route path="/register" element={<Register />} />
          <Route path="*" element={<Read of={session}>{(known) => (known === null ? <SignIn /> : <SignedIn />)}</Read>} />
        </Routes>
      </Suspense>
    </Boundary>
  );
}

function SignedIn() {
  const { pathname } = useLocation();
  return (
    <Shell>
      <Boundary place={pathname}>
        <Suspense fallback={<Waiting />}>
          <Routes>
            <Route index element={<Home />} />
            <Route path="keys" element={<Keys />} />
            <Route path="datasets" element={<Datasets />} />
            <Route path="datasets/new" element={<Wizard />} />
            <Route path="datasets/:id" element={<Dataset />} />
            <Route path="contracts" element={<Contracts />} />
            <Route path="contracts/new" element={<Compose />} />
            <Route path="contracts/:id" element={<Contract />} />
            <Route path="runs" element={<Runs />} />
            <Route path="runs/:id" element={<Run />} />
            <Route path="runs/:id/evidence" element={<Evidence />} />
            <Route path="audit" element={<Audit />} />
            <Route path="payments" element={<Payments />} />
            <Route path="payments/:id" element={<Payment />} />
            <Route path="disputes/:id" element={<Dispute />} />
            <Route path="admin" element={<Admin />} />
            <Route path="sign-in" element={<Navigate to="/" replace />} />
            <Route path="*" element={<Nowhere />} />
          </Routes>
        </Suspense>
      </Boundary>
    </Shell>
  );
}

/** An address that is none of the page's: a link that was cut off, or a slip of the keyboard. */
function Nowhere() {
  return (
    <Page title={t('There is no such page')}>
      <p>{t('Look at the address, or go on from here:')} <Link to="/">{t('Home')}</Link>, <Link to="/datasets">{t('Datasets')}</Link>, <Link to="/contracts">{t('Contracts')}</Link>, <Link to="/runs">{t('Runs')}</Link></p>
    </Page>
  );
}
