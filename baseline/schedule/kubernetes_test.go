package schedule

import (
	"bytes"
	"testing"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"
)

// Kubernetes' own types read the manifest, and refuse a field that they do not have.
func TestManifestIsOneForKubernetes(t *testing.T) {
	j := job()
	f := render(t, "kubernetes", j, 0)
	var cron batchv1.CronJob
	for _, doc := range bytes.Split(f.Text, []byte("\n---\n")) {
		var kind struct{ Kind string }
		if err := yaml.Unmarshal(doc, &kind); err != nil {
			t.Fatal(err)
		}
		into := map[string]any{"CronJob": &cron, "ServiceAccount": &corev1.ServiceAccount{}, "PersistentVolumeClaim": &corev1.PersistentVolumeClaim{}}[kind.Kind]
		if into == nil {
			t.Fatalf("a document of kind %q", kind.Kind)
		}
		if err := yaml.UnmarshalStrict(doc, into); err != nil {
			t.Errorf("%s: %v", kind.Kind, err)
		}
	}
	spec := cron.Spec.JobTemplate.Spec
	if len(spec.Template.Spec.Containers) != 1 || cron.Spec.Schedule != j.Cron() {
		t.Fatalf("CronJob %+v", cron.Spec)
	}
	mounts := map[string]bool{}
	for _, v := range spec.Template.Spec.Volumes {
		mounts[v.Name] = true
	}
	for _, m := range spec.Template.Spec.Containers[0].VolumeMounts {
		if !mounts[m.Name] {
			t.Errorf("there is no volume %s", m.Name)
		}
	}
}
