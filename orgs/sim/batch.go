package sim

import (
	"context"
	"encoding/json"
)

// BatchJob is a job of AWS Batch that a state machine submits.
type BatchJob struct {
	JobName         string
	JobQueue        string // an ARN, as the definition
	JobDefinition   string
	ArrayProperties struct{ Size int } // 0 for a job that is none of an array
	Parameters      map[string]string
}

// SetBatch says how the jobs of AWS Batch are run: the world has neither its API nor
// containers. A job that ends with an error has failed.
func (w *World) SetBatch(run func(context.Context, BatchJob) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.batch = run
}

// submitBatchJob is the integration batch:submitJob.sync, which waits for the end of the
// job: of an array, of all its parts.
// https://docs.aws.amazon.com/step-functions/latest/dg/connect-batch.html
func submitBatchJob(c *call, p Principal, _ string, parameters any) (any, error) {
	var job BatchJob
	if err := json.Unmarshal([]byte(encodeJSON(parameters)), &job); err != nil {
		return nil, failed("States.Runtime", "The parameters of the task are not valid: %v", err)
	}
	for _, resource := range []string{job.JobDefinition, job.JobQueue} {
		if err := c.w.authorize(c.sub(p, "Batch"), "batch:SubmitJob", resource); err != nil {
			return nil, err
		}
	}
	run := c.w.batch
	if run == nil {
		return nil, apiError("ClientException", "The sandbox has nothing that runs jobs.")
	}
	c.w.mu.Unlock()
	err := run(c.ctx, job)
	c.w.mu.Lock()
	out := map[string]any{"JobName": job.JobName, "JobQueue": job.JobQueue, "JobDefinition": job.JobDefinition, "Status": "SUCCEEDED"}
	if err != nil {
		out["Status"], out["StatusReason"] = "FAILED", err.Error()
		return nil, failed("States.TaskFailed", "%s", jsonText(out))
	}
	return out, nil
}
