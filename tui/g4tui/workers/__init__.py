"""Jobs in threads: they touch no widget, but post messages to the screen that started them."""
