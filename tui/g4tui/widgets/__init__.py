"""Parts of screens: a widget knows its data and not its neighbours; it reports by messages and is told by methods."""
