"""Us to the operator: one link per connection, its window and its pace."""
