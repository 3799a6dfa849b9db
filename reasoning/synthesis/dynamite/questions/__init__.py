"""Open questions: other programs that fit the example, and a smallest input to separate them."""
