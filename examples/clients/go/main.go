// A client in Go with nothing but the standard library: an answer, then the same one as a stream.
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strings"
)

type message struct {
	Role    string `json:"role,omitempty"`
	Content string `json:"content"`
}

type request struct {
	Model       string    `json:"model"`
	Messages    []message `json:"messages"`
	Temperature float64   `json:"temperature"`
	Stream      bool      `json:"stream,omitempty"`
}

type response struct {
	Choices []struct {
		Message message `json:"message"`
		Delta   message `json:"delta"`
	} `json:"choices"`
}

func setting(name, otherwise string) string {
	if value := os.Getenv(name); value != "" {
		return value
	}
	return otherwise
}

func ask(asked request) (io.ReadCloser, error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, err
	}
	url := setting("PENSTOCK_URL", "http://localhost:8000") + "/v1/chat/completions"
	posted, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	posted.Header.Set("Content-Type", "application/json")
	posted.Header.Set("Authorization", "Bearer "+setting("PENSTOCK_API_KEY", "none"))
	answer, err := http.DefaultClient.Do(posted)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		defer answer.Body.Close()
		said, _ := io.ReadAll(answer.Body)
		return nil, fmt.Errorf("%s: %s", answer.Status, said)
	}
	return answer.Body, nil
}

func whole(asked request) error {
	body, err := ask(asked)
	if err != nil {
		return err
	}
	defer body.Close()
	var answer response
	if err := json.NewDecoder(body).Decode(&answer); err != nil {
		return err
	}
	fmt.Println(answer.Choices[0].Message.Content)
	return nil
}

func stream(asked request) error {
	asked.Stream = true
	body, err := ask(asked)
	if err != nil {
		return err
	}
	defer body.Close()
	for lines := bufio.NewScanner(body); lines.Scan(); {
		data, found := strings.CutPrefix(lines.Text(), "data: ")
		if !found {
			continue
		}
		if data == "[DONE]" {
			fmt.Println()
			return nil
		}
		var chunk response
		if err := json.Unmarshal([]byte(data), &chunk); err != nil {
			return err
		}
		if len(chunk.Choices) > 0 {
			fmt.Print(chunk.Choices[0].Delta.Content)
		}
	}
	return fmt.Errorf("the stream ended without [DONE], so the answer is not whole")
}

func main() {
	question := request{Model: "demo", Messages: []message{{Role: "user", Content: "What is the capital of France?"}}}
	if err := whole(question); err != nil {
		log.Fatal(err)
	}
	if err := stream(question); err != nil {
		log.Fatal(err)
	}
}
