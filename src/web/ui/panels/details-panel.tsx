import { useApp } from '../context.ts';
import { GroupDetails } from './group-details.tsx';
import { PersonDetails } from './person-details.tsx';

export function DetailsPanel() {
  const app = useApp();
  const open = app.open.value;
  if (!open) return null;
  const peer = app.peerOf(open.id);
  return peer === undefined ? <GroupDetails open={open} /> : <PersonDetails open={open} peer={peer} />;
}
