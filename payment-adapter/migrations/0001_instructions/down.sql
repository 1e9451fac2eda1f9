DROP TABLE unmatched;
DROP TABLE heard;
DROP TABLE answers;
DROP TABLE instructions;
DROP TABLE batches;
DROP TABLE deliveries;
