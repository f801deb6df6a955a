DROP TABLE change_actors;
