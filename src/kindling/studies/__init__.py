"""Studies: what several commands give, as a table and a figure in a page of docs/, written from run folders."""
