/** What can be shown beside the conversation. */
import type { ComponentType } from 'preact';
import type { Panel } from '../../state/app.ts';
import type { TextKey } from '../../text/text.ts';
import { ContactsPanel } from './contacts-panel.tsx';
import { DetailsPanel } from './details-panel.tsx';
import { InspectPanel } from './inspect-panel.tsx';
import { NewGroupPanel } from './new-group-panel.tsx';
import { SearchPanel } from './search-panel.tsx';
import { SettingsPanel } from './settings-panel.tsx';

export const panels: Readonly<Record<Panel, { readonly title: TextKey; readonly body: ComponentType }>> = {
  details: { title: 'conversation.details', body: DetailsPanel },
  settings: { title: 'settings.title', body: SettingsPanel },
  contacts: { title: 'contacts.title', body: ContactsPanel },
  search: { title: 'search.title', body: SearchPanel },
  inspect: { title: 'inspect.title', body: InspectPanel },
  'new group': { title: 'list.newGroup', body: NewGroupPanel },
};
