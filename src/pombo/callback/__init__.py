"""Us to the customer: receipts and replies, called to the URL that the customer registered."""
