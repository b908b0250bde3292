// Who is running and since when.
export default { vu: { idInTest: 1 }, scenario: { startTime: 0 } };
