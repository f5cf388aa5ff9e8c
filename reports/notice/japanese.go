package notice

import "strings"

// reasons are findings' reasons in another language: those that are a fixed text, and
// the beginnings of those that end in a name. What AWS says, and what is missing here,
// stays as it is.
var reasons = map[string]map[string]string{"ja": {
	"the recorder is stopped":                                          "レコーダーが停止しています",
	"the recorder's last attempt failed":                               "レコーダーの前回の記録が失敗しています",
	"the recorder does not record all resource types":                  "レコーダーが一部のリソースタイプを記録していません",
	"the recorder should not record the global IAM types here":         "このリージョンではグローバルな IAM リソースタイプを記録すべきではありません",
	"the recorder uses another role":                                   "レコーダーが別のロールを使用しています",
	"the recording frequency differs":                                  "記録頻度が設定と異なります",
	"the channel delivers to another bucket":                           "配信チャネルの配信先が別のバケットです",
	"the snapshot frequency differs":                                   "スナップショットの配信頻度が設定と異なります",
	"the last delivery failed":                                         "前回の配信が失敗しています",
	"the rule is disabled":                                             "ルールが無効になっています",
	"the event pattern differs":                                        "イベントパターンが設定と異なります",
	"the rule's target differs":                                        "ルールのターゲットが設定と異なります",
	"the rule has no target: nobody is told":                           "ルールにターゲットがないため、通知されません",
	"the rule has a target that orgguard did not give it":              "orgguard が設定していないターゲットがルールにあります",
	"the rule's parameters differ":                                     "ルールのパラメーターが設定と異なります",
	"the rule looks at other types of resources":                       "ルールの対象リソースタイプが設定と異なります",
	"the rule checks something else":                                   "ルールの評価内容が設定と異なります",
	"the rule is being deleted":                                        "ルールが削除されようとしています",
	"the remediation does something else":                              "修復アクションが設定と異なります",
	"the remediation is manual, not automatic":                         "修復が自動ではなく手動になっています",
	"the topic's policy differs":                                       "トピックのポリシーが設定と異なります",
	"the topic has no policy":                                          "トピックにポリシーがありません",
	"the topic is not encrypted":                                       "トピックが暗号化されていません",
	"the topic is encrypted with another key":                          "トピックが別のキーで暗号化されています",
	"the topic's display name differs":                                 "トピックの表示名が設定と異なります",
	"the queue is not encrypted":                                       "キューが暗号化されていません",
	"the queue keeps messages for another time":                        "キューのメッセージ保持期間が設定と異なります",
	"the bucket's policy differs":                                      "バケットポリシーが設定と異なります",
	"the bucket's versioning is not enabled":                           "バケットのバージョニングが有効ではありません",
	"the bucket's object ownership differs":                            "バケットのオブジェクト所有者設定が異なります",
	"the bucket lets public ACLs in":                                   "バケットがパブリック ACL を許可しています",
	"the key's policy differs":                                         "キーポリシーが設定と異なります",
	"the key is not rotated":                                           "キーの自動ローテーションが無効です",
	"the alias points to a key that is not the account's own":          "エイリアスがこのアカウントのものではないキーを指しています",
	"the role's trust policy differs":                                  "ロールの信頼ポリシーが設定と異なります",
	"the role lacks the managed policy ":                               "ロールにマネージドポリシーがアタッチされていません: ",
	"the role has the additional managed policy ":                      "ロールに余分なマネージドポリシーがアタッチされています: ",
	"the role has the additional inline policy ":                       "ロールに余分なインラインポリシーがあります: ",
	"the role has no inline policy ":                                   "ロールにインラインポリシーがありません: ",
	"the role has not the permissions boundary ":                       "ロールにアクセス許可の境界が設定されていません: ",
	"the role's sessions last longer or shorter":                       "ロールの最大セッション時間が設定と異なります",
	"the state machine's definition differs":                           "ステートマシンの定義が設定と異なります",
	"the state machine uses another role":                              "ステートマシンが別のロールを使用しています",
	"the state machine is of another type":                             "ステートマシンのタイプが異なります",
	"the state machine is being deleted":                               "ステートマシンが削除されようとしています",
	"the trail is stopped":                                             "証跡のログ記録が停止しています",
	"the trail does not record all management events":                  "証跡がすべての管理イベントを記録していません",
	"the trail's log files are not encrypted with a KMS key":           "証跡のログファイルが KMS キーで暗号化されていません",
	"the trail's log files are encrypted with another key":             "証跡のログファイルが別のキーで暗号化されています",
	"the trail's log files do not arrive":                              "証跡のログファイルが配信されていません",
	"the trail's events do not arrive in the log group":                "証跡のイベントがロググループに届いていません",
	"the trail delivers to no log group":                               "証跡の配信先ロググループがありません",
	"the trail delivers to another log group":                          "証跡の配信先が別のロググループです",
	"the trail delivers to another bucket":                             "証跡の配信先が別のバケットです",
	"the policy is not effective in the account":                       "ポリシーがこのアカウントで有効になっていません",
	"the account has no password policy of its own":                    "アカウントにパスワードポリシーが設定されていません",
	"new instances may answer IMDSv1":                                  "新しいインスタンスが IMDSv1 に応答する可能性があります",
	"new EBS volumes are not encrypted by default":                     "新しい EBS ボリュームがデフォルトで暗号化されません",
	"GuardDuty is not on in the account":                               "アカウントで GuardDuty が有効ではありません",
	"GuardDuty does not enable every account by itself":                "GuardDuty が全アカウントで自動的に有効になる設定ではありません",
	"the administrator's own detector is off":                          "管理者アカウント自身のディテクターが無効です",
	"Security Hub is off":                                              "Security Hub が無効です",
	"the administrator's own Security Hub is off":                      "管理者アカウント自身の Security Hub が無効です",
	"Security Hub does not enable new accounts by itself":              "Security Hub が新しいアカウントで自動的に有効になる設定ではありません",
	"Security Hub of the account does not report to the administrator": "アカウントの Security Hub が管理者アカウントに集約されていません",
	"new accounts do not get the default standards":                    "新しいアカウントでデフォルトの標準が有効になりません",
	"missing: ": "不足: ",
}}

// said is a reason in a language. A report joins reasons with semicolons.
func said(lang, reason string) string {
	table := reasons[lang]
	if table == nil {
		return reason
	}
	parts := strings.Split(reason, "; ")
	for i, p := range parts {
		parts[i] = saidOnce(table, p)
	}
	return strings.Join(parts, "; ")
}

func saidOnce(table map[string]string, reason string) string {
	if v, ok := table[reason]; ok {
		return v
	}
	best := ""
	for k := range table {
		if strings.HasSuffix(k, " ") && strings.HasPrefix(reason, k) && len(k) > len(best) {
			best = k
		}
	}
	if best == "" {
		return reason
	}
	return table[best] + strings.TrimPrefix(reason, best)
}
